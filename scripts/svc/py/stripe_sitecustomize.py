"""Lets Python 3.13 run packages written for 3.14, which evaluates annotations lazily: asks the compiler for the same."""

import __future__
import importlib.machinery

_source_to_code = importlib.machinery.SourceFileLoader.source_to_code


def source_to_code(self, data, path, *, _optimize=-1):
    if "seahaven" in str(path):
        return compile(data, path, "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True, optimize=_optimize)
    return _source_to_code(self, data, path, _optimize=_optimize)


importlib.machinery.SourceFileLoader.source_to_code = source_to_code
