<?php
file_put_contents(getenv('UPLOADS') . '/a.txt', 'kept');
