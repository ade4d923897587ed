"""Turns the data of the package genai-prices into crates/baton-models/src/prices.json.

Called by `cargo xtask prices`, which installs the package. What cannot be said in Baton's terms stops
it: a pattern of another kind must not become a wrong price.
"""

import datetime
import importlib.metadata
import json
import re
import sys
from decimal import Decimal

from genai_prices import data, types

# Baton's names of the providers.
PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "gemini",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "x-ai": "xai",
    "groq": "groq",
}
DATES = {r"\d{8}": "#" * 8, r"\d{4}-\d{2}-\d{2}": "####-##-##"}
SOURCE = "genai-prices {version} by Pydantic and its contributors, https://github.com/pydantic/genai-prices"
LICENCE = "MIT, Copyright (c) Pydantic Services Inc. 2025 to present"


def of_regex(regex):
    """The patterns of a regular expression: a name, then a date or what begins with a digit."""
    heads = [regex.removeprefix("^")]
    if "[-@]" in heads[0]:
        heads = [heads[0].replace("[-@]", sign) for sign in "-@"]
    for head in heads:
        if head.endswith(r"-\d"):
            name, tail = head.removesuffix(r"\d"), "#*"
        else:
            date = next((d for d in DATES if head.endswith(d + "$")), None)
            if date is None:
                raise SystemExit(f"cannot say the pattern {regex!r}")
            name, tail = head.removesuffix(date + "$"), DATES[date]
        name = name.replace(r"\.", ".")
        if re.search(r"[\\^$()\[\]{}|?*+]", name):
            raise SystemExit(f"cannot say the pattern {regex!r}")
        yield name + tail


def patterns(clause):
    match clause:
        case types.ClauseEquals():
            yield clause.equals
        case types.ClauseStartsWith():
            yield clause.starts_with + "*"
        case types.ClauseEndsWith():
            yield "*" + clause.ends_with
        case types.ClauseContains():
            yield "*" + clause.contains + "*"
        case types.ClauseRegex():
            yield from of_regex(clause.regex)
        case types.ClauseOr():
            for inner in clause.or_:
                yield from patterns(inner)
        case types.ClauseAnd():
            # A prefix, but for models that speak: what is not meant is said apart.
            starts = [c for c in clause.and_ if isinstance(c, types.ClauseStartsWith)]
            others = [c for c in clause.and_ if not isinstance(c, types.ClauseStartsWith)]
            if len(starts) != 1 or any("[tT][tT][sS]" not in getattr(c, "regex", "") for c in others):
                raise SystemExit(f"cannot say {clause!r}")
            yield from patterns(starts[0])
        case _:
            raise SystemExit(f"cannot say {clause!r}")


def exceptions(clause):
    """The patterns that a clause does not mean."""
    if isinstance(clause, types.ClauseAnd):
        return ["*-tts", "*-tts-*"]
    return [p for inner in getattr(clause, "or_", []) for p in exceptions(inner)]


def base(value):
    """The price of the first tier, and the tokens up to which it holds."""
    if isinstance(value, types.TieredPrices):
        return value.base, min(tier.start for tier in value.tiers)
    return value, None


def micros(dollars):
    """Micro-dollars per million tokens, that is picodollars per token; rounded up to a whole one."""
    exact = Decimal(dollars) * 1_000_000
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def price(prices):
    kinds = {
        "input": prices.input_mtok,
        "output": prices.output_mtok,
        "cached": prices.cache_read_mtok,
        "cache_write": prices.cache_write_mtok,
    }
    if kinds["input"] is None or kinds["output"] is None:
        return None, None
    said, ends = {}, []
    for kind, value in kinds.items():
        if value is None:
            continue
        dollars, end = base(value)
        said[kind] = micros(dollars)
        ends += [] if end is None else [end]
    return said, min(ends, default=None)


def dated(model, today):
    """Prices by their days. Of prices by the hour of the day the dearest holds all day."""
    rows = model.prices
    if not isinstance(rows, list):
        rows = [types.ConditionalPrice(prices=rows)]
    days = []
    for row in rows:
        said, end = price(row.prices)
        if said is None:
            continue
        match row.constraint:
            case None:
                days.append((None, said, end))
            case types.StartDateConstraint():
                days.append((row.constraint.start_date.isoformat(), said, end))
            case types.TimeOfDateConstraint():
                day, kept, kept_end = days[-1]
                if said["output"] > kept["output"]:
                    days[-1] = (day, said, end)
            case _:
                raise SystemExit(f"cannot say {row.constraint!r}")
    begun = [day for day, _, _ in days if day is not None and day <= today]
    newest = max(begun, default=None)
    # What is past is of no use; what holds today begins the list.
    kept = [d for d in days if d[0] == newest or (d[0] is not None and d[0] > today)]
    prices = [{**({"from": day} if day and day > today else {}), **said} for day, said, _ in kept]
    ends = [end for _, _, end in kept if end is not None]
    return prices, min(ends, default=None)


def rows(provider, today):
    for model in provider.models:
        if model.deprecated:
            continue
        prices, end = dated(model, today)
        if not prices:
            continue
        row = {"names": list(dict.fromkeys(patterns(model.match)))}
        if others := exceptions(model.match):
            row["not"] = others
        if model.context_window:
            row["window"] = model.context_window
        if end is not None:
            row["up_to"] = end
        yield {**row, "prices": prices}


def main():
    today = sys.argv[1] if len(sys.argv) > 1 else datetime.date.today().isoformat()
    providers = {PROVIDERS[p.id]: p for p in data.providers if p.id in PROVIDERS}
    version = importlib.metadata.version("genai-prices")
    head = {
        "date": today,
        "source": SOURCE.format(version=version),
        "licence": LICENCE,
        "unit": "picodollars per token (micro-dollars per million tokens)",
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    print("{", *lines, sep="\n")
    print(' "providers": {')
    blocks = []
    for name in PROVIDERS.values():
        entries = ",\n".join("   " + json.dumps(row, separators=(",", ":")) for row in rows(providers[name], today))
        blocks.append(f'  "{name}": [\n{entries}\n  ]')
    print(",\n".join(blocks), " }", "}", sep="\n")


main()
