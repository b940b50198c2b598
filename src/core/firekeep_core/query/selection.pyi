from typing import final

@final
class Selection: ...
