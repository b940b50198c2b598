from firekeep_core.operation.cache_change import *
