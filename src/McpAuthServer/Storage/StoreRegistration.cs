using McpAuthServer.Storage.Postgres;
using McpAuthServer.Storage.Sqlite;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace McpAuthServer.Storage;

internal static class StoreRegistration
{
    /// <summary>
    /// <see cref="ICommitLog"/>, <see cref="IReadStore"/>, <see cref="IEventSequence"/>, <see cref="ChangeSignal"/> and <see cref="Migrator"/> for
    /// the configured database. The migrator is a hosted service: call this before adding any that uses the store.
    /// </summary>
    /// <exception cref="OptionsValidationException">The options are wrong.</exception>
    public static IServiceCollection AddStore(this IServiceCollection services, Action<StoreOptions> configure)
    {
        var options = new StoreOptions();
        configure(options);
        var faults = options.Faults().ToList();
        if (faults.Count > 0) throw new OptionsValidationException(nameof(StoreOptions), typeof(StoreOptions), faults);

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<ChangeSignal>();
        services.AddSingleton(p => new Migrator(
            p.GetRequiredService<IMigrationTarget>(), Migration.Embedded(options.Provider), p.GetRequiredService<TimeProvider>()));
        services.AddHostedService(p => p.GetRequiredService<Migrator>());
        if (options.Provider == StoreOptions.Sqlite) services.AddSqlite(options.Path, options.QueueLength);
        else services.AddPostgres(options);
        services.AddHostedService<StoreUpkeep>();
        return services;
    }

    private static void AddSqlite(this IServiceCollection services, string path, int queueLength)
    {
        services.AddSingleton<IMigrationTarget>(new SqliteMigrations(path));
        services.AddSingleton<IReadStore>(_ => new SqliteReadStore(path));
        services.AddSingleton(p => new SqliteCommitLog(
            path, queueLength, p.GetRequiredService<ChangeSignal>(), p.GetRequiredService<ILogger<SqliteCommitLog>>()));
        services.AddSingleton<ICommitLog>(p => p.GetRequiredService<SqliteCommitLog>());
        services.AddSingleton<IEventSequence>(p => p.GetRequiredService<SqliteCommitLog>());
    }

    private static void AddPostgres(this IServiceCollection services, StoreOptions options)
    {
        services.AddSingleton(_ => new PostgresDatabase(options.ConnectionString!, options.Writers));
        services.AddSingleton<IMigrationTarget, PostgresMigrations>();
        services.AddSingleton<IReadStore, PostgresReadStore>();
        services.AddSingleton<PostgresSequencer>();
        services.AddSingleton<IEventSequence>(p => p.GetRequiredService<PostgresSequencer>());
        services.AddHostedService(p => p.GetRequiredService<PostgresSequencer>());
        services.AddSingleton<ICommitLog, PostgresCommitLog>();
    }
}
