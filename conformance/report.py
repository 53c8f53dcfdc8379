"""What was checked, as it happens: `ok  <what>` or `FAIL <what>`, and the count at the end.

A step that fails ends its scenario, because the later steps stand on it; the other scenarios still
run.
"""

import contextlib
import sys
import time
import traceback


class Broken(Exception):
    """A step failed and has been reported."""


def expect(truth, otherwise):
    """Fails the step, saying `otherwise`, unless `truth`."""
    if not truth:
        raise AssertionError(otherwise)


class Report:
    """Counts steps."""

    def __init__(self):
        self.passed = self.failed = 0
        self.start = time.monotonic()

    @contextlib.contextmanager
    def scenario(self, title):
        """A group of steps that stand on each other."""
        print(f"\n{title}", flush=True)
        with contextlib.suppress(Broken):
            yield

    @contextlib.contextmanager
    def step(self, what):
        """One thing that must hold."""
        try:
            yield
        except Exception as error:
            self.failed += 1
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            print(f"FAIL  {what}\n      {kind}{error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_tb(error.__traceback__, file=sys.stdout)
            raise Broken from error
        self.passed += 1
        print(f"ok    {what}", flush=True)

    def close(self):
        """Prints the summary and returns the exit code."""
        print(f"\n{time.monotonic() - self.start:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
