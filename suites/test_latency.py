"""How long does an answer take?

    pytest suites/test_latency.py --pair tiny -k int8

TTFT: from frames and question to the first token. Inter-token latency: every further token. Whole answer: both.
"""

from harness.measure.timing import Answering, latency


def test_time_to_first_token(benchmark, variant, workload, latency_rounds, questions, record):
    answering = Answering(variant.model, questions, workload)
    benchmark.pedantic(answering.first_token, setup=lambda: ((answering.next_requests(),), {}), **latency_rounds)
    record(
        "latency",
        workload,
        latency("ttft", latency_rounds.of(benchmark), "preprocessing, vision, prefill, first token"),
    )


def test_inter_token_latency(benchmark, variant, workload, latency_rounds, questions, record):
    answering = Answering(variant.model, questions, workload)
    benchmark.pedantic(
        answering.decode,
        setup=lambda: (answering.first_token(answering.next_requests()), {}),
        **latency_rounds,
    )
    tokens = answering.token_seconds[latency_rounds.warmup * (workload.new_tokens - 1) :]
    record(
        "latency",
        workload,
        latency("itl", tokens, f"each of {workload.new_tokens - 1} further tokens a round"),
    )


def test_whole_answer(benchmark, variant, workload, latency_rounds, questions, record):
    answering = Answering(variant.model, questions, workload)
    benchmark.pedantic(answering.whole_answer, setup=lambda: ((answering.next_requests(),), {}), **latency_rounds)
    told = f"preprocessing to the last of {workload.new_tokens} tokens"
    record("latency", workload, latency("answer", latency_rounds.of(benchmark), told))
