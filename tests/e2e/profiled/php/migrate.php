<?php
(require 'database.php')->exec('CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY)');
