// SPDX-License-Identifier: Apache-2.0
// Makes old nodes equal to fresh ones and touches only what differs. What stays in place keeps focus, selection and hover,
// and a click is not lost when new data arrives between the press and the release. Listeners of the old nodes stay.

/** Makes the children of `container` equal to `children` (nodes, lists of nodes, or null). */
export function morph(container, ...children) {
  morphChildren(container, children.flat(Infinity).filter(Boolean));
}

/** Makes `old` equal to `fresh`, in its place if they are of one kind. */
export function morphNode(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return void old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  morphAttributes(old, fresh);
  morphChildren(old, [...fresh.childNodes]);
}

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (name === "style") old.style.cssText = fresh.style.cssText; // as an attribute the security policy would refuse it
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function morphChildren(old, fresh) {
  while (old.childNodes.length > fresh.length) old.lastChild.remove();
  fresh.forEach((node, index) => {
    if (index < old.childNodes.length) morphNode(old.childNodes[index], node);
    else old.append(node);
  });
}
