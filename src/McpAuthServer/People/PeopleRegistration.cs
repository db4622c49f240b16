using System.Data.Common;
using Microsoft.AspNetCore.Identity;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;
using StoreOptions = McpAuthServer.Storage.StoreOptions;

namespace McpAuthServer.People;

internal static class PeopleRegistration
{
    private const int Readers = 8;

    /// <summary>Accounts on the store's database, and how people prove who they are.</summary>
    public static void AddPeople(this IServiceCollection services)
    {
        services.AddDbContext<PeopleContext>((provider, options) =>
        {
            var store = provider.GetRequiredService<StoreOptions>();
            if (store.Provider == StoreOptions.Sqlite)
                options.UseSqlite(new SqliteConnectionStringBuilder { DataSource = store.Path, Mode = SqliteOpenMode.ReadWrite }.ToString()).AddInterceptors(QueryOnly.Instance);
            else
                options.UseNpgsql(ReadOnly(store.ConnectionString!));
        });
        services.AddSingleton<IPasswordHasher<Account>, PasswordHasher<Account>>();
        services.AddSingleton<ILookupNormalizer, AccountNames>();
        services.Configure<PasswordHasherOptions>(Passwords.Configure);
        services.AddIdentityCore<Account>(options =>
        {
            options.Password = new PasswordOptions
            {
                RequiredLength = Passwords.Least, RequireDigit = false, RequireLowercase = false, RequireUppercase = false, RequireNonAlphanumeric = false, RequiredUniqueChars = 1,
            };
            options.Lockout = new LockoutOptions { MaxFailedAccessAttempts = 5, DefaultLockoutTimeSpan = TimeSpan.FromMinutes(5), AllowedForNewUsers = true };
            // With passkeys.
            options.Stores.SchemaVersion = IdentitySchemaVersions.Version3;
            // Any e-mail address is a name.
            options.User.AllowedUserNameCharacters = "";
        }).AddEntityFrameworkStores<PeopleContext>().AddPasswordValidator<Passwords>();
        services.AddSingleton<PersonStore>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<SignInGate>();
        services.AddScoped<PasswordProof>();
        services.AddScoped<PasswordSignIn>();
        services.AddScoped<PasswordChange>();
        services.AddScoped<SetupLinks>();
    }

    /// <summary>The start-up parameter, so that no reset of the session lifts it.</summary>
    private static string ReadOnly(string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString) { IncludeErrorDetail = false };
        settings.Options = $"{settings.Options} -c default_transaction_read_only=on".TrimStart();
        settings.MaxPoolSize = Math.Min(settings.MaxPoolSize, Readers);
        return settings.ConnectionString;
    }

    private sealed class QueryOnly : DbConnectionInterceptor
    {
        public static readonly QueryOnly Instance = new();

        private QueryOnly() { }

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            using var pragma = connection.CreateCommand();
            pragma.CommandText = "pragma query_only = on";
            pragma.ExecuteNonQuery();
        }

        // SQLite has no asynchronous I/O.
        public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            ConnectionOpened(connection, eventData);
            return Task.CompletedTask;
        }
    }
}
