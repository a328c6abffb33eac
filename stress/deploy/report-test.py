"""Drives a browser over the WebDriver protocol, with nothing but Python's own library: see report-test.sh.

Arguments: address of chromedriver, address of the page, a folder for the browser's profile, and a folder for
pictures or nothing.
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request

DRIVER, PAGE, PROFILE, PICTURES = sys.argv[1:5]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--window-size=1180,1500", "--user-data-dir=" + PROFILE,
]


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(DRIVER + path, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read())["value"]["message"]
        raise SystemExit(f"report-test: FAILED: {path}: {problem}") from None


def begin():
    """A session, as soon as the driver listens."""
    wanted = {"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": FLAGS},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }}}
    for _ in range(200):
        try:
            ask("GET", "/status")
            return "/session/" + ask("POST", "/session", wanted)["sessionId"]
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit("chromedriver does not listen")


SESSION = begin()


def run(script, *arguments):
    return ask("POST", SESSION + "/execute/sync", {"script": script, "args": list(arguments)})


def find(selector):
    return ask("POST", SESSION + "/element", {"using": "css selector", "value": selector})[ELEMENT]


def click(selector):
    ask("POST", SESSION + "/element/" + find(selector) + "/click", {})


def is_shown(selector):
    return ask("GET", SESSION + "/element/" + find(selector) + "/displayed")


def console():
    return ask("POST", SESSION + "/se/log", {"type": "browser"})


def requests():
    """Addresses that the page asked for; the browser's own pages do not count."""
    entries = [json.loads(entry["message"])["message"] for entry in ask("POST", SESSION + "/se/log", {"type": "performance"})]
    sent = [entry["params"] for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    sent = [request["request"]["url"] for request in sent if request["documentURL"] == PAGE]
    return [address for address in sent if not address.startswith("data:")]


def picture(name):
    if PICTURES:
        os.makedirs(PICTURES, exist_ok=True)
        with open(os.path.join(PICTURES, name), "wb") as file:
            file.write(base64.b64decode(ask("GET", SESSION + "/screenshot")))


def expect(is_so, what):
    if not is_so:
        raise SystemExit("report-test: FAILED: " + what)
    print("  " + what)


try:
    ask("POST", SESSION + "/url", {"url": PAGE})
    expect(console() == [], "nothing on the console")
    asked = requests()
    expect(asked == [PAGE], "nothing is asked for but the page")
    expect(run("return document.querySelectorAll('details.finding[open]').length") == 0, "every finding is closed")
    run("document.querySelector('nav').scrollIntoView(false); scrollTo(0, 0)")
    picture("top.png")

    story = "details.finding:has(ol.story)"
    timeline = story + " svg.timeline"
    expect(not is_shown(timeline), "the timeline of the shrunk run is hidden")
    click(story + " > summary")
    expect(is_shown(timeline), "a click on it opens its timeline")
    named = run("return location.hash.slice(1) === document.querySelector(arguments[0]).id", story)
    expect(named, "and the page's address names it")
    for lane in ["phases", "cycles", "life", "reports"]:
        drawn = run("return document.querySelectorAll(arguments[0]).length", f"{timeline} .lane-{lane} rect")
        expect(drawn > 0, f"its lane of {lane} is drawn: {drawn} stretches")

    bytes_shown = "return document.querySelector(arguments[0] + ' svg.map').dataset.bytes"
    before = run(bytes_shown, story)
    last = run("return document.querySelectorAll(arguments[0] + ' li.step').length", story)
    seen = set()
    for step in range(1, last + 1):
        click(f"{story} li.step[data-op='{step}']")
        seen.add(run(bytes_shown, story))
    expect(len(seen) > 2, f"a click on a step repaints the map: {len(seen)} different pictures in {last} steps")
    squares = run("return Array.from(document.querySelectorAll(arguments[0] + ' svg.map'))[0].querySelectorAll('path.slots').length", story)
    expect(squares > 0 and before in seen, "and the one of the first report is among them")
    run("document.querySelector(arguments[0]).scrollIntoView()", story)
    picture("run.png")
    run("document.querySelector(arguments[0] + ' ol.story').scrollIntoView()", story)
    picture("story.png")

    case = "details.finding[id^='case-']"
    click(case + " > summary")
    expect(is_shown(case + " svg.timeline"), "a click on a case opens its timeline")
    run("document.querySelector('#distance').scrollIntoView()")
    picture("campaign.png")

    named = run("return document.querySelector(arguments[0]).id", case)
    ask("POST", SESSION + "/url", {"url": "about:blank"})
    ask("POST", SESSION + "/url", {"url": PAGE + "#" + named})
    expect(is_shown(f"#{named} svg.timeline"), "an address with a finding's name opens it")
    ask("POST", SESSION + "/element/" + find("#filter") + "/value", {"text": "makefunc"})
    left = run("return Array.from(document.querySelectorAll('details.finding')).filter(one => !one.hidden).map(one => one.id)")
    expect(left == ["run-1", "run-2"], "the filter leaves what it names")
    run("setTimeout(function () { throw new Error('heard') }, 0)")
    heard = []
    for _ in range(50):
        heard += console()
        if heard:
            break
        time.sleep(0.1)
    expect(len(heard) == 1 and "heard" in heard[0]["message"], "an error on the console, made on purpose, would have been heard")
    print("report-test: ok: the page loads in silence, and what is clicked opens")
finally:
    ask("DELETE", SESSION)
