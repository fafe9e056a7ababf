"""The scalar field of BN254, in which circuits, Poseidon and BabyJubJub's coordinates live. Elements are ints, 0 to r-1."""

from __future__ import annotations

from collections.abc import Sequence

ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""r, the field's order; also the order of the groups G1 and G2 of BN254."""


def require_element(name: str, value: int) -> int:
    """`value` if it is a field element; raises `ValueError` naming `name` otherwise."""
    if not 0 <= value < ORDER:
        raise ValueError(f"{name}: expected a field element (0 to r-1), got {value}")
    return value


def require_bits(name: str, value: int, bits: int) -> int:
    """`value` if it is an unsigned integer of `bits` bits; raises `ValueError` naming `name` otherwise."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{name}: expected 0 to 2^{bits}-1, got {value}")
    return value


def inverses(values: Sequence[int]) -> list[int]:
    """The inverses of nonzero elements, with one field inversion for all of them."""
    products = [1]
    for value in values:
        products.append(products[-1] * value % ORDER)
    inverse = pow(products[-1], -1, ORDER)
    result = [0] * len(values)
    for i in range(len(values) - 1, -1, -1):
        result[i] = inverse * products[i] % ORDER
        inverse = inverse * values[i] % ORDER
    return result


def horner(values: Sequence[int], at: int) -> int:
    """`sum values[i] * at^(n-1-i)` in the field."""
    result = 0
    for value in values:
        result = (result * at + value) % ORDER
    return result
