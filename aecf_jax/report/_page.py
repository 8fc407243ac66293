"""The page of a report: its sections in their order, those that do not apply left out."""

from typing import Any

from aecf_jax.report._answer import answer_section
from aecf_jax.report._blocks import Page
from aecf_jax.report._calibration import calibration_section, conformal_section
from aecf_jax.report._card import card_section
from aecf_jax.report._cost import cost_section
from aecf_jax.report._gating import gate_section
from aecf_jax.report._html import html_page
from aecf_jax.report._markdown import markdown_page
from aecf_jax.report._numbers import counted
from aecf_jax.report._order import order_section
from aecf_jax.report._protocol import protocol_section
from aecf_jax.report._robustness import robustness_section
from aecf_jax.report._subsets import subsets_section

_SECTIONS = (
    answer_section, card_section, subsets_section, robustness_section, calibration_section, conformal_section,
    order_section, gate_section, cost_section, protocol_section,
)  # fmt: skip


def make_page(report: dict[str, Any]) -> Page:
    """Returns what a report says, section by section.

    Args:
        report: from `report_dict`, perhaps by way of a file.
    """
    names = [model["name"] for model in report["models"]]
    runs = sum(len(model["runs"]) for model in report["models"])
    title = f"Report on {names[0]}" if len(names) == 1 else f"Report on {len(names)} models"
    data = report["data"]
    subtitle = (
        f"{data['settings']['data']}, {data['rows']['test']:,} test rows, "
        f"{counted(len(report['modalities']), 'modality', 'modalities')}, {counted(runs, 'run')}"
    )
    version = report["models"][0]["runs"][0]["protocol"].get("environment", {}).get("aecf_jax", "")
    found = [section(report) for section in _SECTIONS]
    return Page(
        title,
        subtitle,
        tuple(one for one in found if one is not None),
        f"Made by aecf-jax {version}.".replace(" .", "."),
    )


def to_html(report: dict[str, Any]) -> str:
    """Returns a report as one HTML file that needs nothing else.

    Args:
        report: from `report_dict`, perhaps by way of a file.
    """
    return html_page(make_page(report))


def to_markdown(report: dict[str, Any]) -> str:
    """Returns a report as Markdown.

    Args:
        report: from `report_dict`, perhaps by way of a file.
    """
    return markdown_page(make_page(report))
