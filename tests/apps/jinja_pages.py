# SPDX-License-Identifier: Apache-2.0
"""Templates rendered in all the ways that Jinja2 has: whole, streamed, half-read, from text, asynchronous, failing."""

from __future__ import annotations

import asyncio

import jinja2

PAGES = {
    "page.html": "{% include 'part.html' %} {{ name }}",
    "part.html": "part",
    "child.html": "{% extends 'page.html' %}",
    "bad.html": "before {{ 1 // zero }}",
    "list.html": "{% for n in numbers %}{{ n }},{% endfor %}",
}


class MyTemplate(jinja2.Template):
    def render(self, *args, **kwargs):
        return super().render(*args, **kwargs)


class MyEnvironment(jinja2.Environment):
    template_class = MyTemplate


environment = jinja2.Environment(loader=jinja2.DictLoader(PAGES))
print(environment.get_template("page.html").render(name="secret"))
print(environment.get_template("child.html").render({"name": "x"}))
print(environment.from_string("text {{ a }}").render(a=1))
print(list(environment.get_template("list.html").generate(numbers=[1, 2])))
half = environment.get_template("list.html").generate(numbers=range(100))
print(next(half))
half.close()
try:
    environment.get_template("bad.html").render(zero=0)
except ZeroDivisionError as error:
    print(error)
print(MyEnvironment(loader=jinja2.DictLoader(PAGES)).get_template("part.html").render())


async def asynchronous():
    pages = jinja2.Environment(loader=jinja2.DictLoader(PAGES), enable_async=True)
    print(await pages.get_template("page.html").render_async(name="later"))
    print([piece async for piece in pages.get_template("list.html").generate_async(numbers=[3])])


asyncio.run(asynchronous())
print(jinja2.Environment(enable_async=True).from_string("sync in async").render())
