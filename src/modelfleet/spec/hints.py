"""What single steps of the Beam jobs need of a worker."""

from __future__ import annotations

from pydantic import Field

from modelfleet.spec.section import Section


class HintSpec(Section):
    """What one step needs of a worker; Dataflow gives it workers that have it, the other engines do not look.

    Attributes:
        min_ram: Memory, such as `16GB`; absent means the machine type's.
        accelerator: GPUs, such as `type:nvidia-l4;count:1;install-nvidia-driver:5xx`. With `;use_nvidia_mps` several
            processes of a worker share one.
        cpu_count: Cores; absent means the machine type's.
    """

    min_ram: str | None = Field(default=None, pattern=r"^[0-9]+(\.[0-9]+)? ?([KMGTP]i?B|B)$")
    accelerator: str | None = Field(default=None, pattern=r"^type:[a-z0-9-]+;count:[0-9]+(;[a-z0-9_:.-]+)*$")
    cpu_count: int | None = Field(default=None, ge=1)

    def as_arguments(self) -> dict[str, str | int]:
        """Return what is given, by the names that Beam has for it."""
        given = {"min_ram": self.min_ram, "accelerator": self.accelerator, "cpu_count": self.cpu_count}
        return {name: value for name, value in given.items() if value is not None}


class HintsSpec(Section):
    """The steps whose workers can be chosen.

    Attributes:
        prepare: Reading and typing rows, and writing them by shard.
        pooled: Fitting the pooled model.
        train: Fitting and evaluating shards.
        score: Scoring files.
        predict: The streaming job, from the parsing of a request to its answer.
    """

    prepare: HintSpec = HintSpec()
    pooled: HintSpec = HintSpec()
    train: HintSpec = HintSpec()
    score: HintSpec = HintSpec()
    predict: HintSpec = HintSpec()
