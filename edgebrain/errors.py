"""Every error that a person can meet: what happened, in which file, and the way out.

The command line catches `EdgebrainError` in one place and prints the message and the hint, a line each.

    EdgebrainError
    ├── BadImage          a picture that cannot be used
    │   └── IncompleteImage   empty, cut short or damaged: perhaps still being copied
    ├── BadData           a data folder, a groups file or a split that cannot be used
    ├── BadRecipe         a recipe with an unknown key or an impossible value
    ├── BadBundle         a bundle whose manifest, hash or schema does not hold
    ├── BadSignature      a signature or a key that cannot be used, or a signature that does not hold
    ├── BadRun            a run folder that is missing, unfinished or of another recipe
    ├── BadReport         a report file that cannot be read, or contradicts itself
    ├── BadSuite          a suite without a margin, with an unknown key or an impossible value
    ├── UnlikeReports     two reports whose durations cannot be compared
    ├── MissingExtra      an optional library that is not installed
    │   └── BrokenLibrary     one that is installed and cannot be loaded
    ├── CannotWrite       disk full, no permission, or a file that is in the way
    ├── GateRefused       a compressed model that has collapsed
    ├── AnswersDiffer     a timed run that did not answer what the scored run answered
    ├── BadTarget         a target's name or file that cannot be used
    ├── TargetFailed      a device that cannot be reached, lacks something or was lost: host and step
    ├── BadKit            an offline kit that is incomplete or damaged
    ├── NoWheels          no wheel for a device, or none that could be fetched
    ├── BrokenPlugin      an installed package that extends edgebrain and cannot be used
    ├── CompilerFailed    a device's compiler that is not installed or refuses a model
    └── WorkerFailed      a measuring process that died or answered nonsense
"""

from __future__ import annotations

from edgebrain.text import in_one_line


class EdgebrainError(Exception):
    """A fact (`message`, one line) and the way out (`hint`, one line, may be empty).

    Names of files in them are escaped: one that holds a line break does not break the line.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = in_one_line(message)
        self.hint = in_one_line(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class BadImage(EdgebrainError):
    """A picture that cannot be used: unreadable, empty, too large, or not 8-bit grey."""


class IncompleteImage(BadImage):
    """A picture that is empty, cut short or damaged. One that is still being copied looks the same."""


class BadData(EdgebrainError):
    """A data folder, a groups file or a split that cannot be used."""


class BadRecipe(EdgebrainError):
    """A recipe with an unknown key or an impossible value."""


class BadBundle(EdgebrainError):
    """A bundle whose manifest, hash or schema does not hold."""


class BadSignature(EdgebrainError):
    """A signature or a key file that cannot be used, or a signature that does not hold."""


class BadRun(EdgebrainError):
    """A run folder that is missing, unfinished or belongs to another recipe."""


class BadReport(EdgebrainError):
    """A report file that cannot be read, or whose figures do not follow from its scores."""


class BadSuite(EdgebrainError):
    """A suite without a margin, with an unknown key or an impossible value."""


class UnlikeReports(EdgebrainError):
    """Two reports that were measured under unlike conditions, so that their durations cannot be compared."""


class AnswersDiffer(EdgebrainError):
    """A timed run that did not answer what the scored run answered: cached, skipped or random answers."""


class CannotWrite(EdgebrainError):
    """Disk full, no permission, or a file that is in the way."""


class GateRefused(EdgebrainError):
    """A compressed model that has collapsed against its float parent."""


class WorkerFailed(EdgebrainError):
    """A measuring process that died or answered nonsense."""


class BrokenPlugin(EdgebrainError):
    """An installed package that extends edgebrain and cannot be loaded, or brings a name twice."""


class CompilerFailed(EdgebrainError):
    """A device's compiler that is not installed, or that refuses a model."""


class BadTarget(EdgebrainError):
    """A target's name or file that cannot be used."""


class TargetFailed(EdgebrainError):
    """A device that cannot be reached, lacks something or was lost; says which host and at which step."""


class BadKit(EdgebrainError):
    """An offline kit, or what was installed from it, that is incomplete or damaged."""


class NoWheels(EdgebrainError):
    """No wheel fits a device, or it is neither in the cache nor to be fetched."""


class MissingExtra(EdgebrainError):
    """An optional library that is not installed; the hint is the line that installs it."""

    def __init__(self, library: str, extra: str, needed_for: str) -> None:
        super().__init__(f"{library} is not installed; {needed_for} needs it", f"pip install 'edgebrain[{extra}]'")
        self.library = library
        self.extra = extra


class BrokenLibrary(MissingExtra):
    """An optional library that is installed and cannot be loaded: the loader's own words, and what usually helps."""

    def __init__(self, library: str, extra: str, needed_for: str, reason: str = "", cure: str = "") -> None:
        super().__init__(library, extra, needed_for)
        EdgebrainError.__init__(
            self, f"{library} is installed but cannot be loaded ({reason}); {needed_for} needs it", cure
        )
        self.reason = reason
