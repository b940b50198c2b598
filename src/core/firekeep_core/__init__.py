"""The native core of firekeep: values, algorithms and formats, without any I/O.

The packages, each of which may import only those before it::

    errors      what can go wrong
    snap        immutable values: paths, keys, nodes, JSON, hashes
    query       which children a query shows, and in which order
    operation   what happened, as values
    sync        the merge of queued writes over server state      (siblings that
    store       row keys and records on disk                       never meet)
    wire        the text on the wire

Nothing here is public: import from ``firekeep`` instead.
"""
