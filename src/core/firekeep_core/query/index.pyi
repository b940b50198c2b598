from typing import final

@final
class Index: ...
