"""Stages: the steps from pixels to pixels that an operation consists of, a module for each kind.

What they have in common, and what each has to add, is `convcli.engine.slabs.Stage`; `convcli.engine.run` runs them all.
"""
