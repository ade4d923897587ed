"""Takes tasks of the type `checksum` from Baton, hashes the file that each names, and answers."""
import hashlib, http.client, json, os, threading, time, urllib.error, urllib.request

TASKS = os.environ.get("BATON_URL", "http://127.0.0.1:7420") + "/api/v1/tasks/"
LEASE = float(os.environ.get("LEASE_SECONDS", 30))

def ask(path, **body):
    """Posts until Baton answers, also over its restarts; None where the task is not ours any more."""
    while True:
        try:
            request = urllib.request.Request(TASKS + path, json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return None if error.code == 409 else exit(error.read().decode())
        except (OSError, http.client.HTTPException):
            pass  # Baton is not there just now.
        time.sleep(0.5)

def keep(task, done):
    """Says that we are alive, three times in each lease, until the work is done."""
    while not done.wait(LEASE / 3) and ask(task["task_id"] + "/heartbeat", token=task["token"]):
        pass

def checksum(path):
    with open(path, "rb") as file:
        return {"path": path, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}

while True:
    name, lease = f"checksum-{os.getpid()}", f"{int(LEASE * 1000)}ms"
    for task in ask("lease", types=["checksum"], worker=name, wait="20s", lease=lease):
        done, mine = threading.Event(), {"token": task["token"]}
        threading.Thread(target=keep, args=(task, done), daemon=True).start()
        try:
            call, answer = "/complete", {"output": checksum(task["input"]["path"])}
        except OSError as error:
            call, answer = "/fail", {"error": str(error), "happened": "no"}
        ask(task["task_id"] + call, **mine, **answer)
        done.set()
