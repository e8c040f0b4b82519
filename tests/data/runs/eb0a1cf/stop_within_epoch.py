"""python3 stop_within_epoch.py STEP COMMAND...: sends SIGTERM once a checkpoint of STEP or later is there."""
import glob, os, signal, subprocess, sys, time
step, command = int(sys.argv[1]), sys.argv[2:]
child = subprocess.Popen(command)
while child.poll() is None:
    steps = [int(path.rsplit("-", 1)[1]) for path in glob.glob("runs/stopped/2*/checkpoints/step-*")]
    if any(one >= step for one in steps):
        child.send_signal(signal.SIGTERM)
        break
    time.sleep(0.0005)
sys.exit(child.wait())
