"""A small network per entity in PyTorch, one after the other; the dense rows are ready before the clock starts.

Configuration: ``data``, ``hidden``, ``steps``, ``learning_rate``, ``weight_decay``; ``warm_data``.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.data import CATEGORIES, ENTITY, NUMBERS, TARGET


def setup(config: Config) -> Work:
    """Warm up on a few entities and return the work."""
    import torch
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from benchmarks.baselines.frames import read_frame

    torch.set_num_threads(1)

    def fit(path: str) -> Work:
        groups = []
        for _, rows in read_frame(Path(path)).groupby(ENTITY, observed=True):
            encode = ColumnTransformer(
                [("c", OneHotEncoder(sparse_output=False), [*CATEGORIES]), ("n", StandardScaler(), [*NUMBERS])]
            )
            dense = torch.tensor(encode.fit_transform(rows), dtype=torch.float32)
            groups.append((dense, torch.tensor((rows[TARGET] == ">50K").to_numpy(), dtype=torch.float32)))

        def work() -> dict[str, int]:
            for dense, target in groups:
                torch.manual_seed(0)
                model = torch.nn.Sequential(
                    torch.nn.Linear(dense.shape[1], config["hidden"]),
                    torch.nn.ReLU(),
                    torch.nn.Linear(config["hidden"], 1),
                )
                descent = torch.optim.AdamW(
                    model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"]
                )
                for _ in range(config["steps"]):
                    descent.zero_grad()
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(dense)[:, 0], target)
                    loss.backward()
                    descent.step()
            return {"units": len(groups)}

        return work

    fit(config["warm_data"])()
    return fit(config["data"])


if __name__ == "__main__":
    main(setup)
