# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public key of a wireguard private key.

Private to podnet.cni: may change in any release.

A node's public key is needed for its lease before any device exists, on a node that may have neither the C(wg) tool
nor a cryptography library. This is the function X25519 of RFC 7748, section 5, and serves only to derive a public
key once, on the host that owns the private key; it does not run in constant time.
"""

from __future__ import annotations

PRIME = 2**255 - 19
A24 = 121665
BASE_POINT = (9).to_bytes(32, "little")


def clamp(key: bytes) -> bytes:
    """The 32 octets with the bits set and cleared that RFC 7748 asks of a scalar; C(wg genkey) does the same."""
    octets = bytearray(key)
    octets[0] &= 248
    octets[31] = octets[31] & 127 | 64
    return bytes(octets)


def public_key(private_key: bytes) -> bytes:
    """The 32 octets of the public key that belongs to the 32 octets of a private key."""
    return multiply(private_key, BASE_POINT)


def multiply(scalar: bytes, point: bytes) -> bytes:
    """X25519(scalar, point) of RFC 7748, section 5, all in 32 octets."""
    number = int.from_bytes(clamp(scalar), "little")
    x1 = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, x1, 1
    swapped = 0
    for bit in range(254, -1, -1):
        current = number >> bit & 1
        if swapped != current:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swapped = current
        total, difference = x2 + z2, x2 - z2
        square, other = total * total % PRIME, difference * difference % PRIME
        spread = square - other
        cross, counter = (x3 - z3) * total, (x3 + z3) * difference
        x3, z3 = (cross + counter) ** 2 % PRIME, x1 * (cross - counter) ** 2 % PRIME
        x2, z2 = square * other % PRIME, spread * (square + A24 * spread) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")
