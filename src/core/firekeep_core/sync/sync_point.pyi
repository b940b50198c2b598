from typing import final

@final
class SyncPoint: ...
