"""The model card: what was trained on what, how it differs from the defaults, what it is for and what it is not."""

from aecf_jax.report._blocks import Block, Column, Heading, Pairs, Points, Section, Table
from aecf_jax.report._facts import real
from aecf_jax.report._names import listed
from aecf_jax.report._numbers import percent
from aecf_jax.report._read import Report, all_models

_TASKS = {
    "classes": "one of {count} classes", "labels": "any of {count} labels", "values": "{count} values",
    "embedding": "an embedding, compared by cosine",
}  # fmt: skip


def card_section(report: Report) -> Section:
    """Returns the section.

    Args:
        report: the dictionary.
    """
    data, settings = report["data"], report["data"]["settings"]
    rows = ", ".join(f"{part} {count:,}" for part, count in data["rows"].items())
    widths = ", ".join(f"{name} ({width})" for name, width in zip(data["modalities"], data["widths"], strict=True))
    pairs = [
        ("data", str(settings["data"])),
        ("rows", rows),
        ("modalities (width)", widths),
        ("predicts", _TASKS[report["kind"]].format(count=data["num_classes"])),
    ]
    blocks: list[Block] = [Pairs(tuple(pairs))]
    for model in all_models(report):
        blocks += _model(report, model)
    blocks += [Heading("Meant for"), Points(_meant_for(report)), Heading("Not meant for"), Points(_limits(report))]
    return Section("card", "Model card", tuple(blocks))


def _model(report: Report, model: Report) -> list[Block]:
    """Returns what a model is, and how it differs from the defaults."""
    config = model["config"]
    seeds = ", ".join(map(str, model["seeds"]))
    role = "" if model in report["models"] else " (baseline)"
    gate = (
        "none: what is present is averaged"
        if config["gate_disabled"]
        else f"hidden {_shown(config['gate_hidden_dims'])}"
    )
    hides = f"{config['masking_strategy']}, probability {config['masking_prob']:g}"
    pairs = [
        ("runs", f"{listed([run['name'] for run in model['runs']], most=8)}; {_seeds(model, seeds)}"),
        ("encoders", f"{config['encoder']} to width {config['embed_dim'] or config['feat_dim']}"),
        ("gate", gate),
        ("hidden in training", hides if config["curriculum_mask"] else "nothing"),
        ("trained", "; ".join(_trained(run) for run in model["runs"])),
    ]
    blocks: list[Block] = [Heading(model["name"] + role), Pairs(tuple(pairs))]
    columns = (Column("setting"), Column("default", "code"), Column("here", "code"))
    rows = tuple((name, _shown(default), _shown(here)) for name, (default, here) in model["changes"].items())
    if rows:
        return [*blocks, Table(columns, rows, "Settings that differ from the defaults.")]
    return [*blocks, Points(("Every setting has its default.",))]


def _seeds(model: Report, seeds: str) -> str:
    """Returns the seeds with their noun."""
    return f"seed {seeds}" if len(model["seeds"]) == 1 else f"seeds {seeds}"


def _trained(run: Report) -> str:
    """Returns how long a run was trained, and which checkpoint is used."""
    recorded = run["recorded"]
    epochs = f"{real(recorded['epochs']):g}"
    how = {"early": "stopped early", "completed": "to the end"}.get(str(recorded.get("stopped")), "")
    return f"{epochs} epochs {how}, checkpoint of step {recorded['best_step']}".replace("  ", " ")


def _shown(setting: object) -> str:
    """Returns a setting as a user would write it."""
    return " ".join(map(str, setting)) if isinstance(setting, list) else str(setting)


def _meant_for(report: Report) -> tuple[str, ...]:
    """Returns what the model is for."""
    names = listed(list(report["modalities"]), most=8)
    return (
        f"Rows with any of {names}, from the source that the training rows came from, with features made in the same "
        "way.",
        f"Patterns of missing modalities that were evaluated: the {len(report['models'][0]['table']):,} of the table.",
    )


def _limits(report: Report) -> tuple[str, ...]:
    """Returns what the facts do not support."""
    rows, parts = report["data"]["rows"], report["models"][0]["runs"][0].get("presence")
    limits = [
        f"Data from elsewhere: the {rows['test']:,} test rows are of the same source as the training rows, and "
        "intervals speak of rows like them only.",
        "Modalities that are there but wrong (noise, a shift, an adversary): absence is the only fault that was "
        "simulated.",
    ]
    missing = _missing(parts)
    limits.append(missing or "Modalities that are missing for a reason that has to do with the label: here every row "
                             "has everything, and what is hidden was hidden by a draw.")  # fmt: skip
    if any(len(model["runs"]) == 1 for model in report["models"]):
        limits.append("Conclusions about the method: one seed says nothing of how much training scatters.")
    if report["kind"] == "labels":
        limits.append("Probabilities of sets of labels: each label's is its own, and correlations are not modelled.")
    return tuple(limits)


def _missing(parts: Report | None) -> str:
    """Returns how much the data itself lacks, or nothing where it lacks nothing."""
    shares = (parts or {}).get("test", {}).get("modalities", {})
    found = [f"{name} in {percent(1 - real(share))}" for name, share in shares.items() if real(share) < 1]
    if not found:
        return ""
    return (
        "Rows that lack a modality for other reasons than these did: missing of the test rows is "
        f"{listed(found, most=8)}, and a subset is measured on the rows that have it, which may be easier or harder."
    )
