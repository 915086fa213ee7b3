select * from {{ ref('views_leaderboard') }}
