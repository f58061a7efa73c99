# SPDX-License-Identifier: Apache-2.0
"""App C of the figures: Flask, one SQLAlchemy query, one requests call. Ordinary code, no tracing in it."""

import os
import resource

import requests
import sqlalchemy
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    """The model's root."""


class Product(Base):
    """What is for sale."""

    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


app = Flask(__name__)
engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
with Session(engine) as start:
    start.add_all([Product(name=f"product {n}") for n in range(1, 21)])
    start.commit()
http = requests.Session()


@app.get("/products/<int:number>")
def product(number):
    """One product, and what the neighbour says about it."""
    with Session(engine) as session:
        row = session.scalars(sqlalchemy.select(Product).where(Product.id == number)).one()
        name = row.name
    return {"name": name, "neighbour": http.get(os.environ["NEIGHBOUR_URL"], timeout=5).json()}


@app.get("/cpu")
def cpu():
    """What this worker has used so far, in microseconds, and its pid: for the measuring side."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"pid": os.getpid(), "us": round((used.ru_utime + used.ru_stime) * 1e6)}
