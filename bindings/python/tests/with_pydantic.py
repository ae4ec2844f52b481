# SPDX-License-Identifier: Apache-2.0
"""A model class of pydantic is a schema.

    with_pydantic.py SOURCE_ROOT
"""
import pathlib
import sys

import pydantic

import remora


class Ship(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str = pydantic.Field(max_length=12)
    masts: int = pydantic.Field(ge=1, le=5)


model = remora.Model(pathlib.Path(sys.argv[1]) / "models" / "krill.remora")
session = remora.Session(model)
session.append_text("A ship as JSON: ")
sampler = remora.Sampler(model, seed=3).temperature(0.5).constrain(remora.Constraint.schema(model, Ship))
ship = Ship.model_validate_json(session.generate(sampler, max_tokens=80).text())
assert 1 <= ship.masts <= 5
print(repr(ship))
