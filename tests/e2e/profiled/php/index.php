<link rel="stylesheet" href="/static/style.css">
