"""The evaluation job: responses generated, judged and published."""
