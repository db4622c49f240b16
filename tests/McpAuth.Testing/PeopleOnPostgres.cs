namespace McpAuth.Testing;

/// <summary>A fact that needs a browser and PostgreSQL: people at several nodes. Skipped with the reasons without them, failed there under CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PeopleOnPostgresFactAttribute : SkipUnlessFactAttribute
{
    public PeopleOnPostgresFactAttribute()
        : base(PostgresBinaries.Requirement.And(Chromium.Requirement))
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PeopleOnPostgresTheoryAttribute : SkipUnlessTheoryAttribute
{
    public PeopleOnPostgresTheoryAttribute()
        : base(PostgresBinaries.Requirement.And(Chromium.Requirement))
    {
    }
}
