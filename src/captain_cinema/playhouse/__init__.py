"""The playhouse: a procedural film world, drawn by the project (docs: design section 6).

It trains the embedded weights, feeds the tests, and is a benchmark of its own because the truth is known.
"""
