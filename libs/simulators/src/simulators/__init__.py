"""PNCP and PCP as they behave, on loopback, from recorded real records, with every fault seen."""
