"""The report: compute() reads and computes, draw() makes tables, sentences and figures, write() writes the files."""

from analysis.report.findings import Findings, Question, compute
from analysis.report.sections import Section, draw
from analysis.report.writing import write
