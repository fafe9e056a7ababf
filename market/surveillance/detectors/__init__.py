"""The detectors, by theme: each a function from a case to findings, with the source of its formula."""
