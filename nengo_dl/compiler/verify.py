"""What must hold of any program, checked before it runs."""

from __future__ import annotations

from .ir import Block, Program, Read


class ProgramError(AssertionError):
    """A pass of the compiler made an invalid program: a bug, never a user's mistake."""


def verify(program: Program) -> Program:
    """Return the program unless it reads what is not yet there, or what lies outside a block."""
    known: set[Block] = set(program.layout.blocks)
    for stage in program.stages:
        known.update(packing.held for packing in stage.packings)
        for group in stage.groups:
            for read in group.reads:
                _check(read, known, "group", group)
            known.update(group.writes)
        for block, read in stage.carried:
            _check(read, known, "next", block)
            if read.size != block.size:
                raise ProgramError(f"{block!r} has {block.size} elements, its next {read.size}")
        for output, read in stage.outputs:
            _check(read, known, "output", output.key)
    return program


def _check(read: Read, known: set[Block], what: str, reader: object) -> None:
    for piece in read.pieces:
        if piece.block is None:
            continue
        if piece.block not in known:
            raise ProgramError(f"{what} {reader}: reads {piece!r} before it is written")
        if not 0 <= piece.start <= piece.stop <= piece.block.size:
            raise ProgramError(f"{what} {reader}: {piece!r} lies outside its block")
