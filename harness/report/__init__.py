"""Records to a decision: a verdict in one sentence, a terminal table, and one self-contained HTML page.

    run = load_run(Path("results/tiny/cpu"))
    print(table.render(run))
    page.write(run, Path("results/tiny/cpu/report.html"))

Reads records only; nothing here needs torch or a network.
"""
