"""Image and sound of a digit, both of them poor, either of which may be missing: AV-MNIST, difficulty hard.

Command:   python experiments/avmnist.py --root ../shared/data
Hardware:  2 CPU cores
Minutes:   4 of processor time
Data:      10,000 MNIST digits at a quarter of their variance, spoken digits in babble and noise; 8,000/1,000/1,000

`--root` is the folder that holds `mnist/` and `fsdd/`. Every model has the default configuration; "made for one" models
see that modality alone in training, validation and test. Test figures, 5 seeds of training, mean ± standard deviation:

  accuracy, both                  0.803 ± 0.007
  accuracy, image alone           0.651 ± 0.005
  accuracy, audio alone           0.497 ± 0.003
  accuracy, model made for image  0.658 ± 0.005
  accuracy, model made for audio  0.495 ± 0.006
  NLL, both                       0.552 ± 0.007
  NLL, mean of 3 subsets          0.979 ± 0.006
  ECE, mean of 3 subsets          0.038 ± 0.008
"""

import argparse
from collections.abc import Mapping

import recipe

from aecf_jax import AECFConfig, DataConfig, load_splits


def main() -> tuple[recipe.Figures, int]:
    """Returns the figures and the number of seeds."""
    return recipe.main(measured, str(__doc__), "root")


def measured(seed: int, args: argparse.Namespace) -> Mapping[str, float]:
    """Returns the figures of one seed."""
    splits = load_splits(DataConfig(data="avmnist", root=args.root, difficulty="hard"))
    table = recipe.trained_table(AECFConfig(), splits, seed=seed)
    made = {m: recipe.trained_table(AECFConfig(), recipe.alone(splits, m), seed=seed).full for m in table.modalities}
    summary = table.summary()
    return {
        "accuracy, both": table.full.metrics["accuracy"],
        **{f"accuracy, {row.modalities[0]} alone": row.metrics["accuracy"] for row in table.singles},
        **{f"accuracy, model made for {name}": row.metrics["accuracy"] for name, row in made.items()},
        "NLL, both": table.full.metrics["nll"],
        "NLL, mean of 3 subsets": summary["mean_of_subsets"]["nll"],
        "ECE, mean of 3 subsets": summary["mean_of_subsets"]["ece"],
    }


if __name__ == "__main__":
    main()
