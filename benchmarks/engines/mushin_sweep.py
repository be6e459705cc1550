"""A grid with mushin: what a cell returns is kept in its folder, and a cell that is kept is not run again."""

import sys
from collections import defaultdict

import mushin

from benchmarks.engines.cells import Cell, grid


@mushin.sweep
def experiment(
    folder: str, work: str, mc_samples: int, batch_size: int, seed: int, epochs: int, images: int
) -> dict[str, list[float]]:
    history: dict[str, list[float]] = defaultdict(list)

    def report(epoch: int, metrics: dict[str, float]) -> None:
        for key, value in metrics.items():
            history[key].append(value)

    Cell(folder, work, mc_samples, batch_size, seed, epochs, images).run(report)
    return dict(history)


if __name__ == "__main__":
    values = {key: mushin.multirun(each) if len(each) > 1 else each[0] for key, each in grid(sys.argv[1:]).items()}
    print(experiment.run(working_dir=f"{values['folder']}/sweep", resume=True, **values))
