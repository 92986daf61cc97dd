<?php
(require 'database.php')->query('SELECT 1');
