"""Histories: what concurrent callers of gateways did and saw, and whether it can have happened one after the other.

`operations` are the words, `checker` judges, `callers` make histories, `setups` say in front of what.
`python -m tools.history` is the long run.
"""
