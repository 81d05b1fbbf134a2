"""An independent FreshBooks Classic: its own store, its own XML, faults on request.

Shares no code with the gateway and needs only the standard library. The path of one call::

    listener -> connection -> web -> faults/gates -> api (checks) -> methods -> store
                                                  \\-> ledger        answers -> xml_io

`python -m simulator` runs it; `simulator.server.Simulator` runs it inside a test;
`simulator.steering.Steering` steers one that runs in another process.
"""
