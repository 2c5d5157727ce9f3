"""GET /: what this is, for whoever comes with a browser."""

from orders.entrypoints.http.static_file import page

HOME = page("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Orders</title>
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<h1>Orders</h1>
<p>Orders arrive on a Kafka topic, are checked and stored, and are served here.</p>
<ul>
<li><a href="/docs">The API, to read about and to try out</a></li>
<li><a href="/orders?limit=20">The newest 20 orders</a></li>
<li><a href="/health/ready">How the service is</a></li>
</ul>
</body>
</html>
""")
