"""Workers of gunicorn, found as one instance. gunicorn --config gunicorn.conf.py wsgi_app:app"""

from callboard.integrations.gunicorn import hooks

bind = "127.0.0.1:8000"
workers = 3

post_worker_init, worker_exit, on_reload, child_exit = hooks("orders", version="1.4.0", ready_path="/ready")
