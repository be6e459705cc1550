"""The report: read() and compute() make its tables, draw() sentences and figures, write() the files."""

from analysis.report.sections import Findings, Question, compute, draw, read
from analysis.report.writing import write
