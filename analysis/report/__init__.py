"""The report: compute() reads and computes, draw() makes tables, sentences and figures, write() writes the files."""

from analysis.report.sections import Findings, Question, compute, draw
from analysis.report.writing import write
