"""One page on runs: their facts become one dictionary, and that becomes HTML, Markdown or JSON."""

from aecf_jax.report._facts import RunFacts as RunFacts
from aecf_jax.report._measure import measured_report as measured_report
from aecf_jax.report._models import report_dict as report_dict
from aecf_jax.report._page import to_html as to_html
from aecf_jax.report._page import to_markdown as to_markdown
from aecf_jax.report._subject import Subject as Subject
