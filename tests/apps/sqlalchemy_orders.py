# SPDX-License-Identifier: Apache-2.0
"""SQLAlchemy over sqlite3: the core, the ORM, many rows at once, plain text, and errors."""

from __future__ import annotations

import traceback

import sqlalchemy as sa
from sqlalchemy.orm import Session, registry

mapper = registry()


@mapper.mapped
class Order:
    __tablename__ = "orders"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50))


engine = sa.create_engine("sqlite://")
mapper.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([Order(name=f"secret {number}") for number in range(3)])
    session.commit()
    print([order.name for order in session.query(Order).filter(Order.name != "x").order_by(Order.id)])
with engine.begin() as connection:
    connection.execute(sa.insert(Order), [{"name": "four"}, {"name": "five"}])
    print(connection.execute(sa.text("SELECT count(*) FROM orders WHERE name = 'secret 1'")).scalar())
    print(connection.exec_driver_sql("SELECT max(id) FROM orders").scalar())
    print(connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 7 % 4").scalar())
    try:
        connection.execute(sa.text("SELECT * FROM nowhere WHERE a = :a"), {"a": "secret"})
    except sa.exc.OperationalError as error:
        print(
            type(error.orig).__name__, error.orig, [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        )
