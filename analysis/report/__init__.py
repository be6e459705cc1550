"""The report: read() and compute() make its tables, show() sentences and pictures, write() the files."""

from analysis.report.findings import Findings, Question, compute, read
from analysis.report.sections import Report, show
from analysis.report.writing import write
