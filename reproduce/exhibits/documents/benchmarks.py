"""Records of benchmarks, of `make torture` and of the comparison with reference codes, as tables of docs/."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alm.training.scale import scale_named
from reproduce.exhibits.documents import Blocks
from reproduce.exhibits.writing import markdown_grid
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.costs import POPULATION_MARGIN, benchmark_record

_WAYS = ("alone", "together")
NOT_MEASURED = "Not measured: no record of this benchmark is stored."
Rows = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows of a table."""


def machine(record: Mapping[str, Any]) -> str:
    """The origin of a record, in a sentence."""
    hardware, packages = record["hardware"], record["packages"]
    able = ", ".join(hardware.get("instructions", ())) or "none recorded"
    changed = " with changes" if record["git_dirty"] else ""
    return (
        f"{hardware['cpu']} ({hardware['cores']} cores; instructions: {able}), {hardware['system']}, torch "
        f"{packages['torch']}, Python {packages['python']}, commit `{record['git_sha'][:7]}`{changed}."
    )


def blocks(records: Path) -> Blocks:
    """Every result as a Markdown table with its machine."""
    return {where: block(records, name, rows) for where, (name, rows) in _SHOWN.items()}


def block(records: Path, name: str, rows: Callable[[Mapping[str, Any]], Rows]) -> str:
    """A part of one record."""
    found = benchmark_record(records / f"{name}.json")
    return f"{markdown_grid(*rows(found))}\n\n{machine(found)}" if found else NOT_MEASURED


def _scales(record: Mapping[str, Any]) -> dict[str, Any]:
    """The measurements at each scale, the paper's first."""
    return {scale: record["results"][scale] for scale in ("paper", "laptop")}


def alm_update(record: Mapping[str, Any]) -> Rows:
    """ALM's update in different execution modes, at both scales."""
    scales = _scales(record)
    ways = [name.removeprefix("plain_over_") for name in scales["paper"] if name.startswith("plain_over_")]
    rows = [
        [
            f"{way.replace('_', ', ')}",
            *(
                cell
                for result in scales.values()
                for cell in (
                    f"{result[f'{way}_ms']:.0f} ms",
                    f"{result[f'plain_over_{way}']:.2f} ×",
                    f"{result[f'{way}_of_peak']:.0%}",
                )
            ),
        ]
        for way in sorted(ways, key=lambda way: -scales["paper"][f"plain_over_{way}"])
    ]
    rows.append(
        ["plain, float32", *(c for r in scales.values() for c in (f"{r['plain_ms']:.0f} ms", "1", ""))]
    )
    columns = ("time", "speed-up over plain", "share of peak")
    header = ["", *(f"{scale}: {what}" for scale in scales for what in columns)]
    return header, rows


def references(record: Mapping[str, Any]) -> Rows:
    """Largest differences between updates here and those of the reference codes, in float64."""
    rows = []
    for name, found in record["results"].items():
        others = ", ".join(f"{what} {value:.0e}" for what, value in found.get("others", {}).items())
        numbers = [
            f"{found[key]:.0e}" if key in found else "not logged there"
            for key in ("losses", "gradient_norms", "parameters")
        ]
        files = ", ".join(f"{file} `{digest[:8]}`" for file, digest in found["files"].items())
        what = [name, found["repository"], record["task"], str(found["updates"])]
        rows.append([*what, *numbers, others or "–", files])
    numbers = ["losses", "gradient norms", "parameters"]
    return ["", "code", "task", "updates", *numbers, "else", "files, SHA-256"], rows


def libraries(record: Mapping[str, Any]) -> Rows:
    """Time per environment step and seed of SAC and TD3, here and in other libraries."""
    results = record["results"]
    names, rows = list(results["versions"]), []
    for algorithm, found in results["algorithms"].items():
        rows.append([algorithm, f"{found['alone_ms']:.1f} ms", f"{found['together_ms']:.1f} ms"])
        for name in names:
            ratios = " and ".join(f"{found[f'{name}_over_{way}']:.2f} ×" for way in _WAYS)
            rows[-1].append(f"{found[f'{name}_ms']:.1f} ms ({ratios})")
    packages = [package.replace("==", " ") for package in results["versions"].values()]
    return ["", "here, alone", f"here, one of {results['together']}", *packages], rows


def where_time_goes(record: Mapping[str, Any]) -> Rows:
    """Shares of the eager float32 update, and the peaks of the processor."""
    scales = _scales(record)
    at_paper = scales["paper"]["shares"]
    parts = sorted(at_paper, key=lambda part: -at_paper[part])
    rows = [[part, *(f"{r['shares'][part]:.0%}" for r in scales.values())] for part in parts]
    for label, name, form in (
        ("arithmetic of the products", "gflop", "{:.2f} GFLOP"),
        ("speed of the products", "products_gflops", "{:.0f} GFLOP/s"),
        ("fastest matrix product, float32", "gemm_gflops", "{:.0f} GFLOP/s"),
        ("fastest matrix product, bf16", "gemm_bf16_gflops", "{:.0f} GFLOP/s"),
    ):
        rows.append([label, *(form.format(r[name]) for r in scales.values())])
    return ["", *(f"{scale} scale" for scale in scales)], rows


def baseline_updates(record: Mapping[str, Any]) -> Rows:
    """The baselines' updates per environment step at paper scale."""
    rows = [
        [
            name,
            f"{one['compiled_ms']:.1f} ms",
            f"{one['plain_over_compiled']:.2f} ×",
            f"{one['eager_ms']:.1f} ms",
            f"{one['plain_over_eager']:.2f} ×",
            f"{one['step_ms']:.1f} ms",
            f"{one['gflop']:.2f}",
        ]
        for name, one in record["results"]["paper"].items()
    ]
    header = ["", "updates", "speed-up over plain", "eager", "speed-up over plain", "whole step", "GFLOP"]
    return header, rows


def environment_step(record: Mapping[str, Any]) -> Rows:
    """One environment step of every algorithm, beside the paper's statements."""
    says, rows = record["results"]["paper_says"], []
    for scale in ("paper", "laptop"):
        costs = record["results"]["costs"][scale]
        own = costs["alm"]
        for name, one in sorted(costs.items(), key=lambda item: item[1]["step_ms"]):
            said = f"{says[name]:g} ×" if scale == "paper" and name in says else ""
            rows.append(
                [
                    f"{name}, {scale} scale",
                    f"{one['step_ms']:.1f} ms",
                    f"{one['periodic_ms']:.1f} ms" if one["periodic_ms"] else "",
                    f"{one['gflop']:.2f}",
                    f"{one['step_ms'] / own['step_ms']:.2f} ×",
                    f"{one['gflop'] / own['gflop']:.2f} ×",
                    said,
                ]
            )
    header = ["", "time", "of it for the model", "GFLOP", "time / ALM's", "GFLOP / ALM's", "the paper says"]
    return header, rows


def costs(record: Mapping[str, Any]) -> Rows:
    """One environment step of every algorithm at paper scale, in short."""
    says, measured = record["results"]["paper_says"], record["results"]["costs"]["paper"]
    rows = [
        [
            ALGORITHMS[name].title,
            f"{one['step_ms']:.0f} ms",
            f"{one['step_ms'] / measured['alm']['step_ms']:.2f} ×",
            f"{says[name]:g} ×" if name in says else "",
        ]
        for name, one in sorted(measured.items(), key=lambda item: item[1]["step_ms"])
    ]
    return ["", "time", "time / ALM's", "the paper says"], rows


def populations(record: Mapping[str, Any]) -> Rows:
    """Populations on one CPU thread, compared with runs without kept memory and with plain programs."""
    results, rows = record["results"], []
    for name, one in results.items():
        algorithm, scale, seeds = name.split()
        alone = results[f"{algorithm} {scale} 1"]["kept_ms"]
        rows.append(
            [
                f"{algorithm}, {scale} scale",
                seeds,
                f"{one['kept_ms']:.1f} ms",
                f"{one['kept_ms'] / alone:.2f} ×",
                f"{one['given_back_ms']:.1f} ms",
                f"{one['given_back_over_kept']:.2f} ×",
                f"{one['given_back_pages']:,.0f}",
                f"{one['plain_over_kept']:.2f} ×",
            ]
        )
    header = [
        "",
        "seeds",
        "updates",
        "relative to one seed",
        "without kept memory",
        "relative to kept",
        "page faults without",
        "speed-up over plain programs",
    ]
    return header, rows


def denormals(record: Mapping[str, Any]) -> Rows:
    """An update with denormal numbers rounded to zero, as in training, and kept."""
    rows = [
        [
            name,
            *(f"{one[f'{way}_ms']:.1f} ms" for way in ("rounded", "kept")),
            f"{one['kept_over_rounded']:.2f} ×",
        ]
        for name, one in record["results"].items()
    ]
    return ["", "denormals rounded", "denormals kept", "kept / rounded"], rows


def population_gains(record: Mapping[str, Any]) -> Rows:
    """Time that a population of five saves per seed on one CPU thread, and what the grid does with it."""
    rows = [
        [
            f"{algorithm}, {scale} scale",
            f"{one['alone_ms']:.1f} ms",
            f"{one['together_ms']:.1f} ms",
            f"{one['saved']:.0%}",
            "populations" if one["saved"] >= POPULATION_MARGIN else "single seeds",
        ]
        for scale, costs in record["results"].items()
        for algorithm, one in costs.items()
    ]
    return ["", "a seed alone", "a seed of five", "saved", "the grid trains"], rows


def sizes(record: Mapping[str, Any]) -> Rows:
    """Cost of a seed at several sizes, for the length of laptop scale."""
    steps, rows = scale_named("laptop").training(record["task"]).total_steps, []
    for one in record["results"]["rows"]:
        algorithm, width, batch = one["algorithm"], one["hidden_size"], one["batch_size"]
        minutes = [one[f"{way}_ms"] * steps / 60_000 for way in _WAYS]
        times = [f"{one[f'{way}_ms']:.1f} ms" for way in _WAYS]
        rows.append([algorithm, str(width), str(batch), *times, *(f"{taken:.0f} min" for taken in minutes)])
    seed = ("a seed alone", "a seed of five")
    return ["", "width", "batch", *seed, *(f"{one}, {steps:,} steps" for one in seed)], rows


def gpu(record: Mapping[str, Any]) -> Rows:
    """Populations on a CUDA device."""
    rows = []
    for name, one in record["results"]["rows"].items():
        algorithm, seeds = name.split()
        times = [f"{one[f'{way}_ms']:.2f}" for way in ("eager", "captured", "compiled")]
        over = f"{one['over_plain']:.1f} ×" if one["over_plain"] else ""
        rows.append([algorithm, seeds, *times, str(one["kernels"]), f"{one['of_peak']:.0%}", over])
    header = [
        "",
        "S",
        "eager ms",
        "captured ms",
        "compiled ms",
        "kernels",
        "of the peak",
        "seed-updates over plain",
    ]
    return header, rows


def torture(record: Mapping[str, Any]) -> Rows:
    """Trials of one class of `python -m benchmarks.torture`, by kind, and how many failed."""
    tried, failed = (record["results"][name] for name in ("tried", "failed"))
    rows = [[kind, str(tried[kind]), str(failed[kind])] for kind in sorted(tried)]
    rows.append(["together", str(sum(tried.values())), str(sum(failed.values()))])
    return ["", "tried", "failed"], rows


def failures(record: Mapping[str, Any]) -> Rows:
    """The fate of runs whose workers, nodes and grid were killed."""
    rows = [
        [
            what,
            f"{one['kills']}",
            f"{one['done']} of {one['runs']}",
            f"{one['identical']} of {one['runs']}",
            f"{one['lost_points']}",
            f"{one['doubled_points']}",
            f"{one['two_at_once']}",
            f"{one['retries']}",
        ]
        for what, one in record["results"]["killed"].items()
    ]
    header = [
        "killed",
        "times",
        "runs done",
        "bit for bit as undisturbed",
        "points lost",
        "points doubled",
        "trained by two at once",
        "tried again",
    ]
    return header, rows


def engines(record: Mapping[str, Any]) -> Rows:
    """Costs of handing over jobs, one quantity per row."""
    found = record["results"]
    ray = found["ray"]
    rows = [
        ["an empty process on this machine", f"{found['local_job_ms']:.0f} ms"],
        ["an empty Ray task", f"{ray['task_ms']:.1f} ms"],
        ["an empty job on Ray: task, checks of the code, process", f"{ray['job_ms']:.0f} ms"],
        ["start of a training process, up to its first step", f"{found['training_start_seconds']:.1f} s"],
        ["the grid, per running job and second", f"{found['grid_ms']:.2f} ms"],
        ["values per second into MLflow on SQLite", f"{found['mlflow']['values_per_second']:,.0f}"],
        ["writing a run to the store", f"{found['store']['write_ms']:.1f} ms"],
        ["reading one of the stored runs", f"{found['store']['read_ms']:.1f} ms"],
    ]
    wait = found["waiting_seconds"]
    for nodes, rate in ray["jobs_an_hour"].items():
        share = rate / (3600.0 / wait * int(nodes))
        what = f"jobs per hour on {nodes} simulated node{'s' if nodes != '1' else ''}, {wait:g} s each"
        rows.append([what, f"{rate:,.0f} ({share:.0%} of the jobs' own time)"])
    return ["measured", ""], rows


_SHOWN: dict[tuple[str, str], tuple[str, Callable[[Mapping[str, Any]], Rows]]] = {
    ("docs/performance.md", "alm-update"): ("alm_update", alm_update),
    ("docs/performance.md", "where-time-goes"): ("alm_update", where_time_goes),
    ("docs/performance.md", "baseline-updates"): ("baseline_updates", baseline_updates),
    ("docs/performance.md", "libraries"): ("libraries", libraries),
    ("docs/performance.md", "environment-step"): ("environment_step", environment_step),
    ("docs/performance.md", "denormals"): ("denormals", denormals),
    ("docs/performance.md", "populations"): ("populations", populations),
    ("docs/performance.md", "population-gains"): ("population_gains", population_gains),
    ("docs/performance.md", "sizes"): ("sizes", sizes),
    ("docs/performance.md", "gpu"): ("gpu", gpu),
    ("docs/reliability.md", "kills"): ("torture_kills", torture),
    ("docs/reliability.md", "damage"): ("torture_damage", torture),
    ("docs/reliability.md", "lines"): ("torture_lines", torture),
    ("docs/reliability.md", "failures"): ("failures", failures),
    ("docs/fidelity.md", "references"): ("references", references),
    ("docs/scaling.md", "engines"): ("engines", engines),
    ("docs/findings.md", "costs"): ("environment_step", costs),
}
"""A record and the part of it that is shown, by page and block."""
