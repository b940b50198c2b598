from typing import final

@final
class Bound: ...
