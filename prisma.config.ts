import { defineConfig } from 'prisma/config';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  // `generate` needs no database; the service itself applies migrations with plain SQL (src/database/migrate.ts).
  datasource: { url: process.env['DATABASE_URL'] ?? '' },
});
