<?php
$database = require 'database.php';
$database->exec('INSERT INTO visits DEFAULT VALUES');
echo json_encode([
    'release' => trim(file_get_contents('release')),
    'visits' => (int) $database->query('SELECT count(*) FROM visits')->fetchColumn(),
    'user' => posix_getpwuid(posix_geteuid())['name'],
    'secret' => getenv('APP_KEY') && !getenv('SECRET_KEY'),
]);
