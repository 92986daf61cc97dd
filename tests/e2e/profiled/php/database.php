<?php
$dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_NAME'));
return new PDO($dsn, getenv('DB_USER'), getenv('DB_PASSWORD'));
